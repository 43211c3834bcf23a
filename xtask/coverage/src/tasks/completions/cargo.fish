# Completes `cargo xtask …` in fish; what completes `cargo` stays.

function __cargo_xtask_words
    set -l words (commandline -opc)
    set -l at 2
    # A toolchain: `cargo +nightly xtask`.
    string match -q -- '+*' $words[2]; and set at 3
    test "$words[$at]" = xtask; or return 1
    set -e words[1..$at]
    printf '%s\n' $words
end

function __cargo_xtask_complete
    set -l words (__cargo_xtask_words); or return
    set -l found (@PROGRAM@ completions fish -- $words (commandline -ct) 2> /dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c cargo -n 'test (count (commandline -opc)) -eq 1' -a xtask -d 'Run a task of this workspace'
complete -c cargo -n __cargo_xtask_words -f -a '(__cargo_xtask_complete)'
