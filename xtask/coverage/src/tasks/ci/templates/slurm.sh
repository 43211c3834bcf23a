#!/usr/bin/env bash
@HEADER@
#
# Run it where `sbatch` is; its arguments go to each `sbatch`, as in `@PLACE@ --partition=short`.
# It ends as the combined run ends. All nodes need this checkout under the same path, cargo and
# Python; the project's environment, if it is active here, is active in each job.
#   COVERAGE_CPUS     processors of each shard (4)
#   COVERAGE_RESULTS  a folder that all nodes share (`@SHARED@` in the checkout)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/@UP@"

root=$PWD
cpus=${COVERAGE_CPUS:-4}
base=${COVERAGE_RESULTS:-$root/@SHARED@}
mkdir -p "$base"
COVERAGE_RUN=$(mktemp -d "$base/$(date +%Y%m%d-%H%M%S)-XXXXXX")
export COVERAGE_RUN

# Once, and not in all jobs at the same time.
cargo xtask --version

submit() {
    sbatch --parsable --export=ALL --chdir="$root" "$@"
}

# Cuts the suite once: shards that did it themselves could have different durations.
# shellcheck disable=SC2016 # the jobs expand it
plan=$(submit --job-name=coverage-plan --output="$COVERAGE_RUN/plan.out" "$@" \
    --wrap 'cargo xtask coverage plan -p @PROJECT@ --shards @SHARDS@ --out "$COVERAGE_RUN/plan.json"')

# An element that is requeued delivers again, and its last attempt counts.
# shellcheck disable=SC2016
shards=$(submit --job-name=coverage-shard --array=0-@LAST@ --cpus-per-task="$cpus" \
    --output="$COVERAGE_RUN/shard-%a.out" --dependency="afterok:${plan%%;*}" \
    --kill-on-invalid-dep=yes "$@" \
    --wrap 'cargo xtask coverage -p @PROJECT@ --shard auto/@SHARDS@ --plan "$COVERAGE_RUN/plan.json" --out "$COVERAGE_RUN/shards"')

# However the shards have ended: what is missing is run here, or named. What failed is left for
# `--rerun` elsewhere; where no test did there is none, and that is no fault.
echo "plan ${plan%%;*}, shards ${shards%%;*}, results in $COVERAGE_RUN"
ended=0
# shellcheck disable=SC2016
submit --wait --job-name=coverage-combine --cpus-per-task="$cpus" \
    --output="$COVERAGE_RUN/combine.out" --dependency="afterany:${shards%%;*}" "$@" \
    --wrap 'mkdir -p "$COVERAGE_RUN/shards"; cargo xtask coverage combine "$COVERAGE_RUN/shards" -p @PROJECT@ --heal --report term,html,xml --junit "$COVERAGE_RUN/junit.xml" --store-durations ||
        { ended=$?; cargo xtask coverage export -p @PROJECT@ --out "$COVERAGE_RUN/rerun.json" || true; exit "$ended"; }' \
    > /dev/null || ended=$?
cat "$COVERAGE_RUN/combine.out"
exit "$ended"
