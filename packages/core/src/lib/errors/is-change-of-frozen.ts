/** Whether an error says that something frozen was to be changed. JavaScript has no code for that, only these words. */
export function isChangeOfFrozen(thrown: unknown): thrown is TypeError {
  return (
    thrown instanceof TypeError &&
    /read only property|object is not extensible|^Cannot (delete|define|redefine) property/.test(thrown.message)
  )
}
