/**
 * The checkout of README: two reservations, a payment that cannot be taken back, and a parcel.
 */
import { defineSaga } from '../../actors/index.ts';

export const checkout = defineSaga('checkout', { name: 'Checkout' })
  .step('reserve', {
    systemTarget: 'stock',
    action: 'reserve',
    parameters: { sku: '${input.sku}' },
    compensation: { systemTarget: 'stock', action: 'release', parameters: { sku: '${input.sku}' } },
  })
  .step('courier', {
    systemTarget: 'shipping',
    action: 'book',
    condition: "${input.kind} == 'parcel'",
    compensation: { systemTarget: 'shipping', action: 'cancel' },
  })
  .step('charge', {
    systemTarget: 'payments',
    action: 'charge',
    parameters: { cents: '${input.cents}' },
    dependencies: ['reserve', 'courier'],
    pivot: true,
  })
  .step('send', { systemTarget: 'shipping', action: 'send', dependencies: ['charge'] });
