# Completes `xtask-coverage …` in bash.

_xtask_coverage() {
    local line=${COMP_LINE:0:COMP_POINT} words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local last=${words[-1]} found IFS=$'\n'
    found=$(@PROGRAM@ completions bash -- "${words[@]:1}" 2> /dev/null)
    COMPREPLY=($found)
    # Of `--option=value` bash wants what stands behind the sign alone.
    [[ $last == --*=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
}

complete -o bashdefault -o default -F _xtask_coverage xtask-coverage
