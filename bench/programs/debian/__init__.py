"""Programs that Debian packages, with their inputs."""
