/** An element with attributes and children; children that are no nodes become text. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`The page has no #${id}.`)
  return found
}

/**
 * Control characters and those that change the direction of text: a record with one of them would read as another than
 * it is, and could turn the text around it. The command line escapes the same.
 */
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSHOWN = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/g

/** Text that may come from anybody, as it is shown. */
export function shownText(text) {
  return String(text ?? '').replace(
    UNSHOWN,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Sets text only when it is another, so that what is selected stays selected. */
export function setText(node, text, title) {
  const shown = shownText(text)
  if (node.textContent !== shown) node.textContent = shown
  if (title !== undefined) setAttribute(node, 'title', shownText(title))
}

export function setAttribute(node, name, value) {
  if (value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name)
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value))
}

/** The options of a select: changed only when they are others, so that what is chosen stays chosen. True when they were. */
export function setOptions(select, names) {
  if (JSON.stringify([...select.options].map(({ value }) => value)) === JSON.stringify(names)) return false
  select.replaceChildren(...names.map((name) => el('option', { value: name }, name)))
  return true
}

/**
 * Keeps one child for each key, in order: `make(key)` makes it, `update(child, item)` changes it. What is there stays
 * there, so focus and selection do too.
 */
export function keyed(parent, items, { keyOf, make, update }) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]))
  const kept = new Set()
  let at = parent.firstElementChild
  for (const item of items) {
    const key = keyOf(item)
    let child = old.get(key)
    old.delete(key)
    if (child === undefined) {
      child = make(item)
      child.dataset.key = key
    }
    kept.add(child)
    if (child === at) at = at.nextElementSibling
    else parent.insertBefore(child, at)
    update(child, item)
  }
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove()
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name === 'onclick') node.addEventListener('click', value)
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  const given = children.filter((child) => child !== undefined)
  node.append(...given.map((child) => (typeof child === 'string' ? shownText(child) : child)))
  return node
}
