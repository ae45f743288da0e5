export type Shell = 'bash' | 'zsh'

/** What a shell asks for the words that may follow: this option, then all words up to the cursor. */
export const COMPLETE = '--complete'

/** A script for the shell's start-up file. It asks the command itself, so it knows names that the app has today. */
export function completionScript(shell: Shell, program: string): string {
  return shell === 'bash' ? bashScript(program) : zshScript(program)
}

/** Words are taken from the line, because bash splits them at `:` and `=`; at `@` it must not replace half a word. */
function bashScript(program: string): string {
  return `# In ~/.bashrc:  eval "$(${program} completion bash)"
COMP_WORDBREAKS=\${COMP_WORDBREAKS//@/}
_${program}_complete() {
  local line=\${COMP_LINE:0:COMP_POINT} words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  mapfile -t COMPREPLY < <("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2> /dev/null)
}
complete -o bashdefault -o default -F _${program}_complete ${program}
`
}

function zshScript(program: string): string {
  return `#compdef ${program}
# In ~/.zshrc, after compinit:  eval "$(${program} completion zsh)"
_${program}_complete() {
  local -a replies
  replies=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
  if [[ -n $replies[1] ]]; then compadd -- $replies; else _files; fi
}
compdef _${program}_complete ${program}
`
}
