/**
 * A statechart as boxes and arrows.
 *
 * Owns: which states and transitions of an XState configuration are drawn, and how a transition is labelled. A transition without a target
 * takes note of something and goes nowhere, and a history state is where `retry` comes back to: neither is an arrow of its own. What leaves
 * a region leaves all of them: that arrow begins at the parallel state, and names the region.
 */

/** Of XState configuration, what is looked at. */
interface StateConfig {
  readonly id?: string;
  readonly type?: string;
  readonly initial?: string;
  readonly description?: string;
  readonly states?: Readonly<Record<string, StateConfig>>;
  readonly on?: Readonly<Record<string, Transitions>>;
  readonly always?: Transitions;
  readonly onDone?: Transitions;
}

type Transitions = TransitionConfig | readonly TransitionConfig[];

interface TransitionConfig {
  readonly target?: string;
  readonly guard?: string | { readonly type: string; readonly params?: Readonly<Record<string, unknown>> };
}

export interface StateBox {
  /** Names from the root, with dots. */
  readonly path: string;
  readonly name: string;
  readonly kind: 'atomic' | 'compound' | 'parallel' | 'final';
  readonly note: string | undefined;
  /** Entered first. */
  readonly isInitial: boolean;
  readonly children: readonly StateBox[];
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly labels: readonly string[];
}

export interface StatechartGraph {
  readonly root: StateBox;
  readonly arrows: readonly Arrow[];
}

/** Guards by which a step finds its place again after `retry`: true of every step, and said once in the caption. */
const RESUMING = 'is';

/** Boxes and arrows of what `statechartOf` gives. */
export function graphOf(config: Record<string, unknown>): StatechartGraph {
  const root = config as unknown as StateConfig & { readonly id: string };
  const byId = new Map<string, string>();
  collectIds(root, root.id, byId);
  const parallels = new Map<string, number>();
  collectParallels(root, root.id, parallels);
  const leaving = new Map<string, { from: string; to: string; label: string; regions: string[] }>();
  collectArrows(root, root.id, (from, target, label) => {
    const to = target.startsWith('#') ? byId.get(target.slice(1)) : siblingOf(from, target);
    if (to === undefined) throw new Error(`${from}: no state "${target}"`);
    const out = [...parallels.keys()].find((path) => from.startsWith(`${path}.`) && !to.startsWith(`${path}.`));
    const region = out === undefined ? [] : [from.slice(out.length + 1).split('.')[0] as string];
    const key = `${out ?? from} ${to} ${label}`;
    const known = leaving.get(key);
    if (known === undefined) leaving.set(key, { from: out ?? from, to, label, regions: region });
    else known.regions.push(...region);
  });
  const arrows = new Map<string, { from: string; to: string; labels: string[] }>();
  for (const { from, to, label, regions } of leaving.values()) {
    const who = regions.length === parallels.get(from) ? 'any step' : regions.join(', ');
    const full = regions.length === 0 ? label : `${who}: ${label}`;
    const key = `${from} ${to}`;
    const arrow = arrows.get(key) ?? { from, to, labels: [] };
    arrow.labels.push(full);
    arrows.set(key, arrow);
  }
  const drawn = [...arrows.values()];
  const reached = new Set(drawn.map(({ to }) => to));
  const box = boxOf(root.id, root.id, root, true, reached);
  const paths = new Set<string>();
  collectPaths(box, paths);
  return { root: box, arrows: drawn.filter(({ from, to }) => paths.has(from) && paths.has(to)) };
}

function collectIds(state: StateConfig, path: string, byId: Map<string, string>): void {
  // The history state stands for all that it comes back to.
  if (state.id !== undefined) byId.set(state.id, state.type === 'history' ? parentOf(path) : path);
  for (const [name, child] of Object.entries(state.states ?? {})) collectIds(child, `${path}.${name}`, byId);
}

/** Parallel states, with how many regions each has. */
function collectParallels({ type, states = {} }: StateConfig, path: string, parallels: Map<string, number>): void {
  const regions = Object.entries(states).filter(([, child]) => child.type !== 'history');
  if (type === 'parallel') parallels.set(path, regions.length);
  for (const [name, child] of regions) collectParallels(child, `${path}.${name}`, parallels);
}

function collectArrows(
  state: StateConfig,
  path: string,
  take: (from: string, target: string, label: string) => void,
): void {
  const { on = {}, always = [], onDone = [], states = {} } = state;
  const triggers: [string, Transitions][] = [...Object.entries(on), ['', always], ['done', onDone]];
  for (const [trigger, transitions] of triggers) {
    for (const { target, guard } of [transitions].flat<Transitions[]>()) {
      if (target === undefined || guardName(guard) === RESUMING) continue;
      take(path, target, labelOf(trigger, guard, path));
    }
  }
  for (const [name, child] of Object.entries(states)) collectArrows(child, `${path}.${name}`, take);
}

function guardName(guard: TransitionConfig['guard']): string | undefined {
  return typeof guard === 'object' ? guard.type : guard;
}

/** `done.charge` within the region of `charge` is `done`. */
function labelOf(trigger: string, guard: TransitionConfig['guard'], path: string): string {
  const dot = trigger.indexOf('.');
  const isOwn = dot !== -1 && path.split('.').includes(trigger.slice(dot + 1));
  const event = isOwn ? trigger.slice(0, dot) : trigger;
  const condition = typeof guard === 'object' ? guard.params?.['condition'] : undefined;
  const when = typeof condition === 'string' ? `not ${condition.replaceAll(/\$\{([^}]*)\}/g, '$1')}` : guardName(guard);
  return [event, when === undefined ? '' : `[${words(when)}]`].filter((part) => part !== '').join(' ');
}

/** `isReady` is read as "ready". */
function words(name: string): string {
  if (name.includes(' ')) return name;
  return name
    .replace(/^is(?=[A-Z])/, '')
    .replaceAll(/([A-Z])/g, ' $1')
    .trim()
    .toLowerCase();
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('.'));
}

function siblingOf(path: string, name: string): string {
  return `${parentOf(path)}.${name}`;
}

function boxOf(
  path: string,
  name: string,
  state: StateConfig,
  isInitial: boolean,
  reached: ReadonlySet<string>,
): StateBox {
  const entries = Object.entries(state.states ?? {}).filter(
    ([child, { type }]) =>
      type !== 'history' && (state.type === 'parallel' || child === state.initial || reached.has(`${path}.${child}`)),
  );
  const kind =
    state.type === 'final'
      ? 'final'
      : state.type === 'parallel'
        ? 'parallel'
        : entries.length > 0
          ? 'compound'
          : 'atomic';
  return {
    path,
    name,
    kind,
    note: state.description === name ? undefined : state.description,
    isInitial,
    children: entries.map(([child, config]) =>
      boxOf(`${path}.${child}`, child, config, kind === 'compound' && child === state.initial, reached),
    ),
  };
}

function collectPaths({ path, children }: StateBox, paths: Set<string>): void {
  paths.add(path);
  for (const child of children) collectPaths(child, paths);
}
