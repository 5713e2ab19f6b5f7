// A heat map is a table whose fields have colours: read, copied, printed and walked through as any other.
import { bdi, byId, el, selectOf } from './dom.js'
import { facts, metricIndex, metricName } from './facts.js'
import { format, median } from './number.js'
import { t } from './words.js'

// cividis, from dark to light: even to the eye and to colour-blind eyes, and in grey.
const ramp = [[0, 34, 78], [18, 53, 112], [59, 73, 107], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]]

function colour(share) {
  const x = Math.max(0, Math.min(1, share)) * (ramp.length - 1)
  const i = Math.min(ramp.length - 2, Math.floor(x))
  return ramp[i].map((v, k) => Math.round(v + (ramp[i + 1][k] - v) * (x - i)))
}

// paint gives an element the colour of a share and text that stands out from it.
function paint(e, share) {
  const rgb = colour(share)
  const linear = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : Math.pow((v / 255 + 0.055) / 1.055, 2.4)))
  const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
  e.style.backgroundColor = `rgb(${rgb.join(',')})`
  e.style.color = 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? '#fff' : '#000'
}

const state = { rows: 0, columns: 1, metric: 0, only: [] }

export function startHeat() {
  state.columns = Math.min(1, facts.factors.length - 1)
  state.metric = Math.max(0, ['p99', 'p50', 'throughput'].map(metricIndex).find((i) => i >= 0) ?? 0)
  if (facts.factors.length > 1) { // the larger factor goes down the page
    const size = facts.factors.map((f, i) => [f.levels.length, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1])
    state.rows = size[0][1]
    state.columns = size[1][1]
  }
  state.only = facts.factors.map(() => -1)
}

export function drawHeat() {
  if (!facts.factors.length || !facts.metrics.length) {
    byId('heat').hidden = true
    return
  }
  tools()
  const { rows, columns } = state
  const metric = facts.metrics[state.metric]
  const alone = facts.factors.length === 1
  const across = alone ? [metricName(state.metric)] : facts.factors[columns].levels
  const fields = facts.factors[rows].levels.map((_, r) => across.map((_, c) => field(r, alone ? null : c)))
  const values = fields.flat().map((f) => f.value).filter((v) => v != null)
  const scale = scaleOf(values)
  const marked = fields.flat().some((f) => f.doubted) && !fields.flat().every((f) => f.doubted || f.value == null) // a mark on all tells none apart
  byId('heat-map').replaceChildren(
    el('thead', {},
      alone ? '' : el('tr', {}, el('td'), el('th', { class: 'over', scope: 'colgroup', colspan: across.length }, bdi(facts.factors[columns].knob))),
      el('tr', {}, el('th', { scope: 'col' }, bdi(facts.factors[rows].knob)), ...across.map((l) => el('th', { scope: 'col' }, bdi(l))))),
    el('tbody', {}, ...fields.map((line, r) => el('tr', {}, el('th', { scope: 'row' }, bdi(facts.factors[rows].levels[r])), ...line.map((f) => {
      if (f.value == null) return el('td', { class: 'none', title: t('no_value') }, '–')
      const td = el('td', { class: f.doubted && marked ? 'doubted' : null, title: f.doubted ? t('doubted') : null }, (f.bound ? '≥' : '') + format(metric.unit, f.value), f.cells > 1 ? el('small', {}, 'n=' + f.cells) : null)
      paint(td, scale.share(f.value))
      return td
    })))))
  key(values, scale, metric, marked ? '△ ' + t('doubted') : fields.flat().some((f) => f.doubted) ? t('all_doubted') : '')
}

// field is the median of the cells with the r-th and c-th level, and what else is chosen.
function field(r, c) {
  const cells = facts.cells.filter((cell) => cell.levels[state.rows] === r && (c == null || cell.levels[state.columns] === c) &&
    state.only.every((level, f) => f === state.rows || (c != null && f === state.columns) || level < 0 || cell.levels[f] === level))
  const known = cells.filter((cell) => cell.values[state.metric] != null)
  return {
    cells: known.length,
    value: median(known.map((cell) => cell.values[state.metric])),
    bound: known.some((cell) => (cell.at_least || []).includes(state.metric)),
    doubted: known.some((cell) => cell.doubt === 'warn' || cell.doubt === 'fail'),
  }
}

// scaleOf is logarithmic where values reach over a factor of 5.
function scaleOf(values) {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const log = low > 0 && high / low > 5
  const on = (v) => (log ? Math.log(v) : v)
  const [a, b] = [on(low), on(high)]
  return { low, high, share: (v) => (b > a ? (on(v) - a) / (b - a) : 0.5), value: (s) => (log ? Math.exp(a + s * (b - a)) : a + s * (b - a)) }
}

function key(values, scale, metric, doubts) {
  const box = byId('heat-key')
  box.replaceChildren()
  if (values.length < 2 || scale.low === scale.high) return
  const sides = metric.lower ? ['better_side', 'worse_side'] : ['worse_side', 'better_side']
  box.append(el('span', { class: 'off' }, t('key')), el('span', {}, t(sides[0])))
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const e = el('span', { class: 'swatch' }, format(metric.unit, scale.value(share)))
    paint(e, share)
    box.append(e)
  }
  box.append(el('span', {}, t(sides[1])), el('span', {}, doubts))
}

function tools() {
  const factors = facts.factors.map((f, i) => [i, f.knob])
  const redraw = (change) => (v) => { change(Number(v)); drawHeat() }
  const swap = (mine, other) => redraw((v) => { if (state[other] === v) state[other] = state[mine]; state[mine] = v })
  const focused = [...byId('heat-tools').querySelectorAll('select')].indexOf(document.activeElement)
  byId('heat-tools').replaceChildren(
    selectOf(t('metric'), facts.metrics.map((_, i) => [i, metricName(i)]), state.metric, redraw((v) => { state.metric = v })),
    selectOf(t('rows'), factors, state.rows, swap('rows', 'columns')),
    facts.factors.length > 1 ? selectOf(t('columns'), factors, state.columns, swap('columns', 'rows')) : '',
    ...facts.factors.flatMap((f, i) => (i === state.rows || i === state.columns ? [] :
      [selectOf(bdi(f.knob), [[-1, t('all_levels')], ...f.levels.map((l, k) => [k, l])], state.only[i], redraw((v) => { state.only[i] = v }))])))
  if (focused >= 0) byId('heat-tools').querySelectorAll('select')[focused]?.focus()
}
