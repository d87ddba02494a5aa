#include "tools/cli/cli.h"

int main(int argc, char** argv) { return mlc::run_mlc(argc, argv); }
