export const SHELLS = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof SHELLS)[number]

/** The option with which a shell asks for completions, followed by all words up to the cursor. */
export const COMPLETE = '--complete'

/** A script for the shell's start-up file. It asks the command each time, and so knows the app's current names. */
export function completionScript(shell: Shell, program: string): string {
  if (shell === 'fish') return fishScript(program)
  return shell === 'bash' ? bashScript(program) : zshScript(program)
}

/**
 * Bash also splits words at `:`, `=` and `@`. The script joins them again if no space separates them. Bash replaces
 * only the part after the last `:` or `=`, so the script returns only that part of each answer; bash keeps an `@`.
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

/** Also works as a file in `fpath`, named `_` and the program. zsh runs such a file to complete, not to set up. */
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

/** Fish itself unquotes the words before the cursor. If the command offers nothing, fish completes files. */
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
