// What the pages use and nothing else: esbuild leaves the rest of Plot and d3 out.
import {areaY, axisX, axisY, barX, crosshairX, dot, gridX, gridY, lineY, link, plot, pointer, pointerX, rect, ruleX, ruleY, text, tickX, tip} from "@observablehq/plot";

globalThis.Plot = {areaY, axisX, axisY, barX, crosshairX, dot, gridX, gridY, lineY, link, plot, pointer, pointerX, rect, ruleX, ruleY, text, tickX, tip};
