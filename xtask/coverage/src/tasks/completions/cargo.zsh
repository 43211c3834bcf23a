# Completes `cargo xtask …` in zsh; all else is left to whatever completes `cargo`.

if [[ ${_comps[cargo]-} != _cargo_with_xtask ]]; then
    typeset -g _xtask_previous=${_comps[cargo]-}
fi

_cargo_with_xtask() {
    local at=2
    # A toolchain: `cargo +nightly xtask`.
    [[ ${words[2]-} == +* ]] && at=3
    if [[ ${words[$at]-} == xtask ]] && ((CURRENT > at)); then
        local -a found
        found=(${(f)"$(@PROGRAM@ completions zsh -- "${(@)words[$((at + 1)),$CURRENT]}" 2> /dev/null)"})
        ((${#found})) || { _files; return }
        _describe 'cargo xtask' found
        return
    fi
    ((CURRENT == at)) && compadd -- xtask
    [[ -n $_xtask_previous ]] && $_xtask_previous "$@"
}

compdef _cargo_with_xtask cargo
