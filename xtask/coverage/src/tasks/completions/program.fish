# Completes `xtask-coverage …` in fish.

function __xtask_coverage_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l found (@PROGRAM@ completions fish -- $words (commandline -ct) 2> /dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c xtask-coverage -f -a '(__xtask_coverage_complete)'
