// The table of cells: sorted, filtered and in pages; its rows are the HTML's own.
import { byId, el, selectOf } from './dom.js'
import { choose, chosenCells, facts, metricIndex, most } from './facts.js'
import { t } from './words.js'

const perPage = 50
const verdicts = ['', 'note', 'warn', 'fail']
const state = { words: '', only: facts.factors.map(() => -1), doubt: '', column: -1, down: false, page: 0 }
const body = byId('table').tBodies[0]
const rows = [...body.rows]
const heads = [...byId('table').tHead.rows[0].cells]
let texts // of rows, lower case

// startTable makes headings buttons and puts a box into every row.
export function startTable() {
  heads.forEach((th, column) => {
    if (!th.dataset.sort) return
    const button = el('button', { type: 'button', class: 'sort', onclick: () => sortBy(column) })
    button.append(...th.childNodes)
    th.append(button)
  })
  rows.forEach((tr, i) => {
    const box = el('input', { type: 'checkbox', onchange: () => {
      const cells = chosenCells()
      choose(box.checked ? [...cells.slice(cells.length >= most ? 1 : 0), i] : cells.filter((c) => c !== i))
    } })
    tr.cells[0].append(box)
  })
  byId('table-tools').append(el('label', {}, el('span', { 'data-t': 'filter' }), el('input', { type: 'search', id: 'filter', oninput: (e) => { state.words = e.target.value; state.page = 0; update() } })),
    el('span', { id: 'filters', class: 'tools' }), el('span', { id: 'shown', role: 'status' }))
}

// value is what a row is sorted by in a column: a number, a level's place, or nothing.
function value(row, column) {
  const cell = facts.cells[row]
  const kind = heads[column].dataset.sort
  if (kind === 'knob') {
    const f = facts.factors.findIndex((f) => f.knob === heads[column].textContent)
    return f < 0 ? 0 : cell.levels[f]
  }
  if (kind === 'trials') return cell.trials.length
  return kind === 'doubt' ? verdicts.indexOf(cell.doubt || '') : cell.values[metricIndex(kind)]
}

function sortBy(column) {
  state.down = state.column === column ? !state.down : false
  state.column = column
  state.page = 0
  heads.forEach((th, i) => (i === column ? th.setAttribute('aria-sort', state.down ? 'descending' : 'ascending') : th.removeAttribute('aria-sort')))
  const order = rows.map((_, i) => i).sort((a, b) => {
    const [x, y] = [value(a, column), value(b, column)]
    if (x == null || y == null) return (x == null) - (y == null) || a - b // what has no value stays below
    return (state.down ? y - x : x - y) || a - b
  })
  body.append(...order.map((i) => rows[i]))
  update()
}

// update shows the rows that pass the filters, a page of them.
export function update() {
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length) texts ??= rows.map((tr) => tr.textContent.toLowerCase())
  const passes = (i) => {
    const cell = facts.cells[i]
    return state.only.every((level, f) => level < 0 || cell.levels[f] === level) &&
      (state.doubt === '' || verdicts.indexOf(cell.doubt || '') >= verdicts.indexOf(state.doubt)) &&
      words.every((w) => texts[i].includes(w))
  }
  let shown = 0
  const pages = []
  for (const tr of body.rows) {
    const pass = passes(Number(tr.dataset.i))
    tr.hidden = !pass
    if (pass) pages.push(tr)
    shown += pass
  }
  const count = Math.max(1, Math.ceil(shown / perPage))
  state.page = Math.min(state.page, count - 1)
  pages.forEach((tr, k) => tr.classList.toggle('paged', Math.floor(k / perPage) !== state.page))
  byId('shown').textContent = t('shown_of', shown, rows.length)
  pager(count)
}

function pager(count) {
  const go = (by) => () => { state.page += by; update(); byId('pager').querySelector(by < 0 ? 'button' : 'button:last-of-type').focus() }
  byId('pager').replaceChildren()
  if (count > 1) {
    byId('pager').append(el('button', { type: 'button', disabled: state.page === 0, onclick: go(-1) }, t('previous')),
      el('span', {}, t('page_of', state.page + 1, count)),
      el('button', { type: 'button', disabled: state.page === count - 1, onclick: go(1) }, t('next')))
  }
}

// tools draws what depends on the language.
export function tools() {
  byId('filter').placeholder = t('filter_hint')
  const change = (f) => (v) => { f(v); state.page = 0; update() }
  byId('filters').replaceChildren(...facts.factors.map((f, i) => selectOf(f.knob, [[-1, t('any')], ...f.levels.map((l, k) => [k, l])], state.only[i], change((v) => { state.only[i] = Number(v) }))),
    selectOf(t('doubts'), [['', t('any')], ...verdicts.slice(1).map((v) => [v, '≥ ' + t(v)])], state.doubt, change((v) => { state.doubt = v })))
  texts = undefined
  update()
}

// mark ticks the boxes of chosen cells.
export function mark() {
  const chosen = new Set(chosenCells())
  rows.forEach((tr, i) => {
    const box = tr.cells[0].firstChild
    box.checked = chosen.has(i)
    box.setAttribute('aria-label', t('choose_cell') + ': ' + facts.cells[i].label)
  })
}
