export const SHELLS = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof SHELLS)[number]

/** What a shell asks for the words that may follow: this option, then all words up to the cursor. */
export const COMPLETE = '--complete'

/** A script for the shell's start-up file. It asks the command itself, so it knows names that the app has today. */
export function completionScript(shell: Shell, program: string): string {
  if (shell === 'fish') return fishScript(program)
  return shell === 'bash' ? bashScript(program) : zshScript(program)
}

/**
 * Bash splits words at `:`, `=` and `@` too. They are put together again where no space is between them, and of an answer
 * only what comes behind the last `:` or `=` is handed back, for that is what bash replaces; an `@` it keeps.
 */
function bashScript(program: string): string {
  return `# In ~/.bashrc:  eval "$(${program} completion bash)"
_${program}_complete() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() word at typed
  for ((at = 0; at <= COMP_CWORD; at++)); do
    [[ $at == 0 || $rest == [[:space:]]* ]] && words+=('')
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    word=\${COMP_WORDS[at]}
    [[ $at == "$COMP_CWORD" ]] && word=$rest
    rest=\${rest#"$word"}
    words[\${#words[@]} - 1]+=\${word//[\\"\\'\\\\]/}
  done
  typed=\${words[\${#words[@]} - 1]}
  mapfile -t COMPREPLY < <("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2> /dev/null)
  [[ $typed == *[:=]* ]] && COMPREPLY=("\${COMPREPLY[@]#"\${typed%"\${typed##*[:=]}"}"}")
}
complete -o bashdefault -o default -F _${program}_complete ${program}
`
}

/** Also a file of its own in `fpath`, named `_` and the program: such a file is run to complete, not to be set up. */
function zshScript(program: string): string {
  return `#compdef ${program}
# In ~/.zshrc, after compinit:  eval "$(${program} completion zsh)"
_${program}_complete() {
  local -a replies
  replies=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
  if [[ -n $replies[1] ]]; then compadd -- $replies; else _files; fi
}
if [[ $funcstack[1] == _${program} ]]; then
  _${program}_complete
elif (( $+functions[compdef] )); then
  compdef _${program}_complete ${program}
else
  print -u2 "Completion of ${program} needs compinit first:  autoload -Uz compinit && compinit"
fi
`
}

/** Fish unquotes the words before the cursor itself. Where the command has nothing to say, files. */
function fishScript(program: string): string {
  return `# In ~/.config/fish/config.fish:  ${program} completion fish | source
function __${program}_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l replies ($words[1] ${COMPLETE} $words[2..-1] $typed 2> /dev/null)
  if set -q replies[1]
    printf '%s\\n' $replies
  else
    __fish_complete_path $typed
  end
end
complete -c ${program} -f -a '(__${program}_complete)'
`
}
