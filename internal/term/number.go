// Package term shows things to people: numbers, tables and progress, on terminals and elsewhere.
package term

import (
	"math"
	"strconv"
)

// digits writes v ≥ 0, below 1000, with three significant digits: 1.23, 12.3, 123.
func digits(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

type step struct {
	factor float64
	suffix string
}

// scaled writes v in the largest step that leaves at least one before the point; steps go from large to small.
func scaled(v float64, steps []step) string {
	for _, s := range steps {
		if q := v / s.factor; q >= 0.9995 {
			return digits(q) + s.suffix
		}
	}
	last := steps[len(steps)-1]
	return digits(v/last.factor) + last.suffix
}

// signed lets show write a magnitude. What is no number is written so.
func signed(v float64, show func(float64) string) string {
	switch {
	case math.IsNaN(v):
		return "?"
	case math.IsInf(v, 0):
		return "∞"
	case v < 0:
		return "-" + show(-v)
	}
	return show(v)
}

// Duration writes nanoseconds with three significant digits: 310us, 1.25ms, 12.0s; 0 is "0".
func Duration(ns float64) string {
	return signed(ns, func(v float64) string {
		switch {
		case v == 0:
			return "0"
		case v < 999.5 && v == math.Trunc(v):
			return strconv.FormatFloat(v, 'f', 0, 64) + "ns"
		}
		return scaled(v, []step{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}})
	})
}

// Count is "1 cell", "2 cells": what takes an s.
func Count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// Number writes a count or a rate with three significant digits: 999, 12.3k, 1.20M; small whole numbers are exact.
func Number(v float64) string {
	return signed(v, func(v float64) string {
		if v < 999.5 && v == math.Trunc(v) {
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
		return scaled(v, []step{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}})
	})
}

// Percent writes a share of 1: 0%, 0.10%, 12.3%, 100%. What is above nothing never shows as 0%.
func Percent(share float64) string {
	return signed(share, func(v float64) string {
		switch {
		case v == 0:
			return "0%"
		case v < 0.00005:
			return "<0.01%"
		}
		return digits(v*100) + "%"
	})
}
