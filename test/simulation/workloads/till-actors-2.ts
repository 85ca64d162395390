/** The second version: it knows the largest amount, reads what the first one stored, and repeats what it did by what it was. */
import { parcel as firstParcel, till as firstTill } from './till-actors-1.ts';
import { migrateParcel, migrateTillTo, parcelOf, tillOf } from './till-versions.ts';

export const till = tillOf(import.meta.url, 2, { migrate: migrateTillTo(2), previous: [firstTill] });
export const parcel = parcelOf(import.meta.url, 2, { migrate: migrateParcel, previous: [firstParcel] });
