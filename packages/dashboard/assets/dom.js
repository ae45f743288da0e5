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

/** Sets text only when it is another, so that what is selected stays selected. */
export function setText(node, text, title) {
  if (node.textContent !== text) node.textContent = text
  if (title !== undefined && node.getAttribute('title') !== title) node.setAttribute('title', title)
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
  node.append(...children.filter((child) => child !== undefined))
  return node
}
