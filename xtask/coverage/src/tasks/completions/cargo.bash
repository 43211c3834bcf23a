# Completes `cargo xtask …` in bash; all else is left to whatever completes `cargo`.

_xtask_previous=$(complete -p cargo 2> /dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
[[ $_xtask_previous == _cargo_with_xtask ]] && _xtask_previous=

_cargo_with_xtask() {
    local line=${COMP_LINE:0:COMP_POINT} words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    # A toolchain: `cargo +nightly xtask`.
    [[ ${words[1]} == +* ]] && words=("${words[0]}" "${words[@]:2}")
    if [[ ${words[1]} == xtask ]] && ((${#words[@]} > 2)); then
        local last=${words[-1]} found IFS=$'\n'
        found=$(@PROGRAM@ completions bash -- "${words[@]:2}" 2> /dev/null)
        COMPREPLY=($found)
        # Of `--option=value` bash wants what stands behind the sign alone.
        [[ $last == --*=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
        return
    fi
    if [[ -z $_xtask_previous ]]; then
        local load
        for load in _comp_load _completion_loader; do
            if declare -F "$load" > /dev/null; then
                "$load" cargo > /dev/null 2>&1
                _xtask_previous=$(complete -p cargo 2> /dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
                complete -o bashdefault -o default -F _cargo_with_xtask cargo
                [[ $_xtask_previous == _cargo_with_xtask ]] && _xtask_previous=
                break
            fi
        done
    fi
    COMPREPLY=()
    [[ -n $_xtask_previous ]] && "$_xtask_previous" "$@"
    if ((COMP_CWORD == 1)) && [[ xtask == "${COMP_WORDS[1]}"* ]]; then
        COMPREPLY+=(xtask)
    fi
}

complete -o bashdefault -o default -F _cargo_with_xtask cargo
