// What Go says of the run, and which cells are in the charts.
import { byId } from './dom.js'
import { t } from './words.js'

export const facts = JSON.parse(byId('facts').textContent)
export const most = 8

export const metricName = (i) => t('metric.' + facts.metrics[i].name)
export const metricIndex = (name) => facts.metrics.findIndex((m) => m.name === name)

const watchers = []
let chosen = []

// watch is called whenever other cells are chosen.
export const watch = (f) => watchers.push(f)
export const chosenCells = () => chosen

// choose puts exactly these cells into the charts, as far as there is room.
export function choose(cells) {
  chosen = [...new Set(cells)].slice(0, most)
  for (const f of watchers) f()
}

// firstChoice is what the strongest finding compares; of few cells all.
export function firstChoice() {
  if (facts.cells.length <= 4) return facts.cells.map((_, i) => i)
  const told = facts.choose.filter((pair) => pair.length)
  return told.length ? told.slice(0, 2).flat() : [0, 1, 2, 3].filter((i) => i < facts.cells.length)
}

// Colours that colour-blind people tell apart (after Okabe and Ito), and beside them dashes and symbols.
const light = ['#0072b2', '#c24e00', '#00805e', '#a8447f', '#3a8fc7', '#a86e00', '#6b727b', '#1a1d21']
const dark = ['#56a8e8', '#f08a4b', '#3fc79a', '#dc8fbd', '#9bd3f5', '#e9b84d', '#a3acb6', '#e6e9ec']
const symbols = ['circle', 'rect', 'triangle', 'diamond', 'circle', 'rect', 'triangle', 'diamond']

// look is how the n-th chosen cell is drawn.
export const look = (n, isDark) => ({ color: (isDark ? dark : light)[n % most], dash: n < 4 ? 'solid' : [7, 4], symbol: symbols[n % most] })
