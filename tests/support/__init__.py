"""What several test directories share: finding the library, compiling programs, preloading."""
