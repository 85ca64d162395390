/** The first version of the till. */
import { parcelOf, tillOf } from './till-versions.ts';

export const till = tillOf(import.meta.url, 1);
export const parcel = parcelOf(import.meta.url, 1);
