# cmake -DIN=page.md -DOUT=file.cpp -P extract.cmake: the page's first block of C++.
file(READ ${IN} text)
string(REGEX REPLACE "^.*\n```cpp\n" "" text "${text}")
string(REGEX REPLACE "\n```\n.*$" "\n" text "${text}")
file(WRITE ${OUT} "${text}")
