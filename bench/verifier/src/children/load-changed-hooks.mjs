// Module hooks: they run in a thread of their own, below those that compile TypeScript.
let change

export function initialize(data) {
  change = data
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context)
  if (!url.split('?')[0].endsWith(`/${change.file}`)) return loaded
  const parts = Buffer.from(loaded.source).toString().split(change.line)
  if (parts.length !== 2)
    throw new Error(`${change.file} has the line of the defect ${parts.length - 1} times, not once.`)
  return { ...loaded, source: parts.join(change.instead) }
}
