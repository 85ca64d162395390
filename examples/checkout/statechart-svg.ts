/**
 * Boxes and arrows as SVG: placed by ELK, painted here.
 *
 * Owns: sizes, colours, shapes. It reads well on a light page and on a dark one, and paints its own background, as the plots of the
 * bench do. The same graph gives the same text, on every machine: nothing is measured with fonts.
 */
import elk, { type ElkEdgeSection, type ElkExtendedEdge, type ElkNode } from 'elkjs/lib/elk.bundled.js';
import { document, element, text } from '../../bench/plots/svg.ts';
import type { Arrow, StateBox, StatechartGraph } from './statechart-graph.ts';

const NAME_PX = 13;
const LABEL_PX = 11;
const NAME_LINE = 18;
const LABEL_LINE = 13;
const PADDING = 10;
const DOT = 10;
const FRAME = 20;

/** Within a state from left to right; states of the whole from top to bottom; regions side by side, in their order. */
const LAYERED: Readonly<Record<string, string>> = {
  'elk.algorithm': 'layered',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.spacing.nodeNode': '20',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '12',
  'elk.spacing.edgeLabel': '3',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
};
const PAGE = { ...LAYERED, 'elk.direction': 'DOWN', 'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX' };
const INSIDE = { ...LAYERED, 'elk.direction': 'RIGHT' };
const REGIONS = {
  'elk.algorithm': 'rectpacking',
  'elk.rectpacking.widthApproximation.targetWidth': '860',
  'elk.spacing.nodeNode': '14',
};

export interface Titles {
  readonly title: string;
  readonly subtitle: string;
  readonly caption: readonly string[];
}

/** The file. */
export async function svgOf(graph: StatechartGraph, titles: Titles): Promise<string> {
  const boxes = new Map<string, StateBox>();
  const page: ElkNode = {
    id: 'page',
    layoutOptions: PAGE,
    children: graph.root.children.map((box) => nodeOf(box, boxes)).concat(dotsOf(graph.root)),
    edges: [...startEdges(graph.root), ...graph.arrows.map(edgeOf)],
  };
  const layout = await new elk.default().layout(page);
  const places = new Map<string, { x: number; y: number }>([['page', { x: 0, y: 0 }]]);
  place(layout, 0, 0, places);
  const [dx, dy] = [FRAME, TOP_PX];
  const width = Math.ceil((layout.width ?? 0) + 2 * FRAME);
  const height = Math.ceil((layout.height ?? 0) + TOP_PX + FRAME + titles.caption.length * 15);
  const body = [
    `<style>${STYLE}</style>`,
    element('g', { transform: `translate(${dx} ${dy})` }, [
      ...paintNodes(layout, boxes, places),
      ...(layout.edges ?? []).flatMap((edge) => paintEdge(edge, places)),
    ]),
  ];
  return document({ width, height, ...titles }, body);
}

const TOP_PX = 60;

/** Wide enough for the common sans-serif fonts. */
function widthOf(words: string, px: number): number {
  let em = 0;
  for (const char of words) em += /[iljtfrI.,:;'|!()[\] ]/.test(char) ? 0.34 : /[mwMW@%]/.test(char) ? 0.88 : 0.58;
  return Math.ceil(em * px);
}

function nodeOf(box: StateBox, boxes: Map<string, StateBox>): ElkNode {
  boxes.set(box.path, box);
  const lines = [box.name, ...(box.note === undefined ? [] : [box.note])];
  const textWidth = Math.max(widthOf(box.name, NAME_PX) * 1.05, widthOf(box.note ?? '', LABEL_PX)) + 2 * PADDING;
  if (box.children.length === 0) {
    return { id: box.path, width: textWidth, height: 12 + NAME_LINE + (lines.length - 1) * LABEL_LINE };
  }
  const top = PADDING + NAME_LINE + (lines.length - 1) * LABEL_LINE + 6;
  return {
    id: box.path,
    layoutOptions: {
      ...(box.kind === 'parallel' ? REGIONS : INSIDE),
      'elk.padding': `[top=${top},left=14,bottom=14,right=14]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${textWidth},40)`,
    },
    children: box.children.map((child) => nodeOf(child, boxes)).concat(dotsOf(box)),
  };
}

/** Where a state begins that has others within. */
function dotsOf({ kind, path, children }: StateBox): ElkNode[] {
  return kind === 'compound' && children.some(({ isInitial }) => isInitial)
    ? [{ id: `${path}.•`, width: DOT, height: DOT, layoutOptions: { 'elk.layered.layering.layerConstraint': 'FIRST' } }]
    : [];
}

function startEdges({ kind, path, children }: StateBox): ElkExtendedEdge[] {
  const first = kind === 'compound' ? children.find(({ isInitial }) => isInitial) : undefined;
  const own = first === undefined ? [] : [{ id: `${path}.• start`, sources: [`${path}.•`], targets: [first.path] }];
  return [...own, ...children.flatMap(startEdges)];
}

function edgeOf({ from, to, labels }: Arrow): ElkExtendedEdge {
  const lines = labels.filter((label) => label !== '');
  const width = Math.max(0, ...lines.map((line) => widthOf(line, LABEL_PX)));
  return {
    id: `${from} ${to}`,
    sources: [from],
    targets: [to],
    labels: lines.length === 0 ? [] : [{ text: lines.join('\n'), width, height: lines.length * LABEL_LINE }],
  };
}

function place(node: ElkNode, x: number, y: number, places: Map<string, { x: number; y: number }>): void {
  places.set(node.id, { x, y });
  for (const child of node.children ?? []) place(child, x + (child.x ?? 0), y + (child.y ?? 0), places);
}

function paintNodes(
  node: ElkNode,
  boxes: ReadonlyMap<string, StateBox>,
  places: ReadonlyMap<string, { x: number; y: number }>,
): string[] {
  return (node.children ?? []).flatMap((child) => {
    const { x, y } = places.get(child.id) ?? { x: 0, y: 0 };
    const [width, height] = [child.width ?? 0, child.height ?? 0];
    const box = boxes.get(child.id);
    if (box === undefined) return element('circle', { class: 'dot', cx: x + DOT / 2, cy: y + DOT / 2, r: DOT / 2 });
    const isLeaf = box.children.length === 0;
    const shape = `${box.kind} ${toneOf(box.name)}`;
    const center = x + width / 2;
    const nameY = y + (isLeaf ? 6 : PADDING - 2) + 13;
    const words = { x: isLeaf ? center : x + 14, anchor: isLeaf ? 'middle' : 'start' };
    return [
      element('rect', { class: `box ${shape}`, x, y, width, height, rx: 8 }),
      ...(box.kind === 'final'
        ? [
            element('rect', {
              class: `inner ${shape}`,
              x: x + 3,
              y: y + 3,
              width: width - 6,
              height: height - 6,
              rx: 5,
            }),
          ]
        : []),
      text(words.x, nameY, box.name, { class: 'name', 'text-anchor': words.anchor }),
      ...(box.note === undefined
        ? []
        : [text(words.x, nameY + LABEL_LINE + 1, box.note, { class: 'note', 'text-anchor': words.anchor })]),
      ...paintNodes(child, boxes, places),
    ];
  });
}

/** Good, bad, or neither: by the names that every workflow's chart has. */
function toneOf(name: string): string {
  if (name === 'completed' || name === 'settled') return 'good';
  return ['failed', 'stuck', 'cancelled'].includes(name) ? 'bad' : 'plain';
}

function paintEdge(edge: ElkExtendedEdge, places: ReadonlyMap<string, { x: number; y: number }>): string[] {
  const origin = places.get((edge as { container?: string }).container ?? 'page') ?? { x: 0, y: 0 };
  const lines = (edge.sections ?? []).flatMap((section) => paintSection(section, origin));
  const labels = (edge.labels ?? []).flatMap(({ text: label = '', x = 0, y = 0, width = 0 }) =>
    label.split('\n').map((words, i) =>
      text(origin.x + x + width / 2, origin.y + y + 10 + i * LABEL_LINE, words, {
        class: 'label',
        'text-anchor': 'middle',
      }),
    ),
  );
  return [...lines, ...labels];
}

const HEAD = 7;

function paintSection(section: ElkEdgeSection, origin: { x: number; y: number }): string[] {
  const points = [section.startPoint, ...(section.bendPoints ?? []), section.endPoint].map(({ x, y }) => ({
    x: round(x + origin.x),
    y: round(y + origin.y),
  }));
  const end = points.at(-1) as { x: number; y: number };
  const before = points.at(-2) as { x: number; y: number };
  const [ux, uy] = [Math.sign(end.x - before.x), Math.sign(end.y - before.y)];
  const base = { x: end.x - ux * HEAD, y: end.y - uy * HEAD };
  const half = HEAD * 0.45;
  const head = [
    end,
    { x: base.x + uy * half, y: base.y + ux * half },
    { x: base.x - uy * half, y: base.y - ux * half },
  ];
  return [
    element('path', { class: 'edge', d: roundedPath([...points.slice(0, -1), base]) }),
    element('polygon', { class: 'head', points: head.map(({ x, y }) => `${round(x)},${round(y)}`).join(' ') }),
  ];
}

/** Straight lines with rounded corners. */
function roundedPath(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points as [{ x: number; y: number }, ...{ x: number; y: number }[]];
  let path = `M${first.x} ${first.y}`;
  let at = first;
  for (const [i, corner] of rest.entries()) {
    const next = rest[i + 1];
    if (next === undefined) return `${path}L${round(corner.x)} ${round(corner.y)}`;
    const radius = Math.min(6, distance(at, corner) / 2, distance(corner, next) / 2);
    const [into, out] = [towards(corner, at, radius), towards(corner, next, radius)];
    path += `L${round(into.x)} ${round(into.y)}Q${corner.x} ${corner.y} ${round(out.x)} ${round(out.y)}`;
    at = corner;
  }
  return path;
}

function distance(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function towards(from: { x: number; y: number }, to: { x: number; y: number }, by: number): { x: number; y: number } {
  const length = distance(from, to) || 1;
  return { x: from.x + ((to.x - from.x) * by) / length, y: from.y + ((to.y - from.y) * by) / length };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const STYLE = [
  '.box{fill:#f6f8fa;stroke:#818b98;stroke-width:1.25}.parallel,.compound{fill:#818b98;fill-opacity:.07}',
  '.parallel{stroke-dasharray:5 4}.inner{fill:none;stroke:#818b98}.name{font-weight:600}.note,.label{font-size:11px}',
  '.note{fill:#59636e}.label{fill:#59636e}.edge{fill:none;stroke:#818b98;stroke-width:1.25}.head{fill:#818b98}.dot{fill:#818b98}',
  'rect.good{stroke:#1a7f37}rect.bad{stroke:#cf222e}',
  '@media (prefers-color-scheme:dark){.box{fill:#161b22;stroke:#656c76}.parallel,.compound{fill:#656c76;fill-opacity:.1}.inner{stroke:#656c76}',
  '.note,.label{fill:#9198a1}.edge{stroke:#656c76}.head,.dot{fill:#656c76}rect.good{stroke:#3fb950}rect.bad{stroke:#f85149}}',
].join('');
