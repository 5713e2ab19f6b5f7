// Of the tables of ratios, one metric's is shown beside that of the findings.
import { byId } from './dom.js'
import { facts, metricIndex, metricName } from './facts.js'
import { el } from './dom.js'

const tables = [...document.querySelectorAll('table.ratios')].filter((e) => e.dataset.metric)

export function drawRatios() {
  const select = byId('ratio-metric')
  if (!select) return
  const value = select.value || tables[0]?.dataset.metric
  select.replaceChildren(...tables.map((e) => el('option', { value: e.dataset.metric }, metricName(metricIndex(e.dataset.metric)))))
  select.value = value
  for (const e of tables) e.hidden = e.dataset.metric !== value
}

export function startRatios() {
  const select = byId('ratio-metric')
  if (!select) return
  if (!facts.factors.length || tables.length < 2) select.parentElement.hidden = true
  select.addEventListener('change', drawRatios)
}
