#include "tools/cli/cli.h"

#include <malloc.h>

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Passes make and drop graphs of megabytes: what is freed is used again, not given back to the system and paged in anew.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
  return mlc::run_mlc(argc, argv);
}
