// el makes an element; text is never parsed as HTML.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value)
    else if (value === true) e.setAttribute(key, '')
    else if (value !== false && value != null) e.setAttribute(key, value)
  }
  e.append(...children.filter((c) => c != null))
  return e
}

// svg is el for drawings.
export function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value)
  e.append(...children)
  return e
}

export const byId = (id) => document.getElementById(id)

// bdi keeps the direction of foreign text to itself.
export const bdi = (text) => el('bdi', {}, text)

// selectOf is a labelled <select> of [value, text] pairs.
export function selectOf(label, options, value, changed) {
  const s = el('select', { onchange: () => changed(s.value) }, ...options.map(([v, text]) => el('option', { value: v }, text)))
  s.value = value
  return el('label', {}, label, s)
}

// simpleTable has a heading row, and rows whose first field is their heading.
export function simpleTable(head, rows) {
  return el('table', {},
    el('thead', {}, el('tr', {}, ...head.map((h, i) => el('th', { scope: 'col', class: i ? 'n' : null }, bdi(h))))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, el('th', { scope: 'row' }, bdi(row[0])), ...row.slice(1).map((v) => el('td', { class: 'n' }, v))))))
}
