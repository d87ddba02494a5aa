#!/bin/sh
# Short trainings on two threads, for builds with sanitizers: a program without parallel launches (iris) and one with
# (mnist, or the digits that stand in for it), the second one compiled, then from the cache.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export MLC_CACHE="$out/cache"
run() {
  name=$1
  shift
  for attempt in first second; do
    if "$MLC" run "$@" --threads 2 --quiet --out "$out/$name" 2>"$out/log" && [ -s "$out/$name/checkpoints/last.safetensors" ]; then
      passed=$((passed + 1))
      return
    fi
    cat "$out/log"
    # The tracer of the leak checker, not the program, may fail at the end.
    grep -q "LeakSanitizer has encountered a fatal error" "$out/log" || break
  done
  failed=$((failed + 1))
  echo "failed: mlc run $* ($attempt attempt)"
}
passed=0 failed=0
run iris specs/iris.yaml --set train.epochs=3
run wide specs/mnist.yaml --set train.steps=30
run cached specs/mnist.yaml --set train.steps=30
if ! cmp -s "$out/wide/checkpoints/last.safetensors" "$out/cached/checkpoints/last.safetensors"; then
  echo "failed: the same training gave two results"
  failed=$((failed + 1))
else
  passed=$((passed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
