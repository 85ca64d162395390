/** The crew with one more, and a ship whose engine counts by three. */
import { defineActor } from '../../../runtime/index.ts';
import { defineSupervisor } from '../../../supervisors/index.ts';
import { crew as crewFirst, hand, ship as shipFirst, shipOf } from './crew-first.ts';

export { hand };
export const ship = defineActor(import.meta.url, 'ship', {
  machine: shipOf(3),
  version: 2,
  virtual: true,
  previous: [shipFirst],
  migrate: (saved) => saved,
});
export const crew = defineSupervisor(
  import.meta.url,
  'crew',
  {
    children: [
      { id: 'pilot', actor: { definition: hand } },
      { id: 'cook', actor: { definition: hand } },
    ],
  },
  { version: 2, previous: [crewFirst] },
);
