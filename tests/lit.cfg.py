# lit configuration: text in, text out, checked by FileCheck. Run through tools/test, or
#   python3 LLVM/build/utils/lit/lit.py tests -DMLC=build/release/mlc
import os
import lit.formats

config.name = "mlc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlc", ".test"]
config.excludes = ["parity", "bench", "e2e", "unit"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "lit")
os.makedirs(config.test_exec_root, exist_ok=True)
root = os.path.dirname(config.test_source_root)
config.substitutions.append(("%mlc", os.path.abspath(lit_config.params.get("MLC", os.path.join(root, "build", "release", "mlc")))))
config.substitutions.append(("%root", os.path.abspath(root)))
config.substitutions.append(("FileCheck", lit_config.params.get("FILECHECK", "/usr/lib/llvm-19/bin/FileCheck")))
for name in ("HOME", "MLC_DATA"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
