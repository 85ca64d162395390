/**
 * SVG that reads well on a light page and on a dark one.
 *
 * Owns: elements as text, colours of both modes, and the frame with title and caption that every plot has. A plot paints its own
 * background, so that it is readable also where the page's mode is not the browser's.
 */

export type Attributes = Readonly<Record<string, string | number>>;

/** One element. Children are markup already: text comes from `text`. */
export function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const list = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escape(value)}"`)
    .join('');
  return children.length === 0 ? `<${name}${list}/>` : `<${name}${list}>${children.join('')}</${name}>`;
}

export function text(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, [escape(words)]);
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string {
  return element('line', { x1, y1, x2, y2, ...attributes });
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** For readers who cannot see it, and under the title. */
  readonly subtitle: string;
  /** Lines at the bottom: from which file, when, on what. */
  readonly caption: readonly string[];
}

/** Where the drawing begins, below title and subtitle. */
export const TOP = 62;
export const CAPTION_LINE = 15;

/** A whole file. */
export function document(frame: Frame, body: readonly string[]): string {
  const { caption, height, subtitle, title, width } = frame;
  const first = height - 12 - (caption.length - 1) * CAPTION_LINE;
  return `${element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' },
    [
      `<title>${escape(`${title}: ${subtitle}`)}</title>`,
      `<style>${STYLE}</style>`,
      element('rect', { class: 'page', x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 6 }),
      text(20, 28, title, { class: 'title' }),
      text(20, 47, subtitle, { class: 'small' }),
      ...body,
      ...caption.map((words, i) => text(20, first + i * CAPTION_LINE, words, { class: 'small faint' })),
    ],
  )}\n`;
}

/** Distinct also for those who see few colours (Okabe and Ito), and by marker. */
const LIGHT = ['#0072b2', '#d55e00', '#00855f', '#a8508a', '#8a6d00'];
const DARK = ['#58b4f0', '#f0883e', '#3fce9f', '#e39acb', '#e3c64a'];

/** How many series can be told apart. */
export const SERIES = LIGHT.length;

const colours = (series: readonly string[]): string =>
  series.map((colour, i) => `.s${i}{stroke:${colour}}.f${i}{fill:${colour}}`).join('');

const STYLE = [
  "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}",
  '.title{font-size:16px;font-weight:600}.small{font-size:12px}.strong{font-weight:600}.faint{fill:#59636e}',
  '.page{fill:#ffffff;stroke:#d1d9e0}.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#818b98;stroke-width:1}',
  '.line{fill:none;stroke-width:2.5;stroke-linejoin:round}.band{opacity:.16;stroke:none}.other{fill:#818b98}.whisker{stroke:#1f2328;stroke-width:1.25}',
  colours(LIGHT),
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.page{fill:#0d1117;stroke:#3d444d}',
  '.grid{stroke:#2a313c}.axis{stroke:#656c76}.other{fill:#656c76}.whisker{stroke:#e6edf3}',
  `${colours(DARK)}}`,
].join('');

function escape(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
