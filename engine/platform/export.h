// Names that the libraries show to the program: everything else is hidden (-fvisibility=hidden).
#pragma once

#define TRI_EXPORT extern "C" [[gnu::visibility("default")]]
