# Completes `xtask-coverage …` in zsh.

_xtask_coverage() {
    local -a found
    found=(${(f)"$(@PROGRAM@ completions zsh -- "${(@)words[2,$CURRENT]}" 2> /dev/null)"})
    ((${#found})) || { _files; return }
    _describe 'xtask-coverage' found
}

compdef _xtask_coverage xtask-coverage
