/** How files become artists, albums and tracks. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildCatalog } from '../../examples/music/media/catalog.ts'
import type { Catalog, TaggedFile } from '../../examples/music/media/catalog.ts'
import type { FileTags } from '../../examples/music/media/tags.ts'

const NO_TAGS: FileTags = {
  realPath: '',
  bytes: 1,
  title: undefined,
  artist: undefined,
  albumArtist: undefined,
  album: undefined,
  date: undefined,
  number: undefined,
  disc: undefined,
  durationSeconds: 1,
  sampleRate: 44_100,
  bitDepth: 16,
  bitrate: 1,
}

function tagged(path: string, tags: Partial<FileTags>): TaggedFile {
  return { file: { path, absolutePath: `/music/${path}`, format: 'FLAC' }, tags: { ...NO_TAGS, ...tags } }
}

const albumsOf = (catalog: Catalog): string[] =>
  catalog.albums.map(({ artist, title, trackIds }) => `${artist}: ${title} (${trackIds.length})`)

describe('albums', () => {
  test('guests do not split an album that lies in one folder', () => {
    const catalog = buildCatalog([
      tagged('x/1.flac', { artist: 'Ann', album: 'Duets' }),
      tagged('x/2.flac', { artist: 'Ann feat. Bob', album: 'Duets' }),
      tagged('y/1.flac', { artist: 'Ann', album: 'Solo' }),
    ])
    expect(albumsOf(catalog)).toEqual(['Ann: Solo (1)', 'Various Artists: Duets (2)'])
    expect(catalog.tracks.map(({ artist }) => artist)).toEqual(['Ann', 'Ann', 'Ann feat. Bob'])
  })

  test('an album artist joins tracks wherever they lie', () => {
    const catalog = buildCatalog([
      tagged('x/1.flac', { artist: 'Bob', albumArtist: 'Ann', album: 'Duets' }),
      tagged('y/1.flac', { artist: 'Cid', albumArtist: 'ann', album: 'duets' }),
    ])
    expect(albumsOf(catalog)).toEqual(['Ann: Duets (2)'])
  })

  test('two collections of one name in two folders stay two', () => {
    const catalog = buildCatalog(
      ['x', 'y'].flatMap((folder) =>
        ['Ann', 'Bob'].map((artist) => tagged(`${folder}/${artist}.flac`, { artist, album: 'Greatest Hits' })),
      ),
    )
    expect(albumsOf(catalog)).toEqual(['Various Artists: Greatest Hits (2)', 'Various Artists: Greatest Hits (2)'])
  })

  test('discs follow each other, from tags or from folders', () => {
    const catalog = buildCatalog([
      tagged('Ann/Box/CD2/01 Third.flac', {}),
      tagged('Ann/Box/CD1/02 Second.flac', {}),
      tagged('Ann/Box/CD1/01 First.flac', {}),
      tagged('Ann/Box/bonus/1.flac', { artist: 'Ann', album: 'Box', disc: 3, number: 1, title: 'Fourth' }),
    ])
    expect(albumsOf(catalog)).toEqual(['Ann: Box (4)'])
    expect(catalog.tracks.map(({ disc, number, title }) => [disc, number, title])).toEqual([
      [1, 1, 'First'],
      [1, 2, 'Second'],
      [2, 1, 'Third'],
      [3, 1, 'Fourth'],
    ])
  })

  test('one disc is none', () => {
    expect(buildCatalog([tagged('x/1.flac', { disc: 1 })]).tracks[0]).not.toHaveProperty('disc')
  })

  test('sort by artist, date and title, capitals aside', () => {
    const catalog = buildCatalog([
      tagged('1.flac', { artist: 'bob', album: 'Late', date: '2020' }),
      tagged('2.flac', { artist: 'Bob', album: 'Early', date: '1999-05' }),
      tagged('3.flac', { artist: 'Ann', album: 'Only' }),
      tagged('4.flac', { artist: 'cid', album: 'a', date: '1999' }),
      tagged('5.flac', { artist: 'cid', album: 'B', date: '1999' }),
    ])
    expect(albumsOf(catalog)).toEqual(['Ann: Only (1)', 'bob: Early (1)', 'bob: Late (1)', 'cid: a (1)', 'cid: B (1)'])
    expect(catalog.artists.map(({ title }) => title)).toEqual(['Ann', 'bob', 'cid'])
  })
})

describe('any library', () => {
  const word = fc.constantFrom('Ann', 'ann', 'Bob', 'Æ', 'ß', 'Various Artists', 'x/y')
  const maybe = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
    fc.option(value, { nil: undefined })
  const tags = fc.record({
    title: maybe(word),
    artist: maybe(word),
    albumArtist: maybe(word),
    album: maybe(word),
    date: maybe(fc.constantFrom('1999', '2020-01-02')),
    number: maybe(fc.integer({ min: 1, max: 4 })),
    disc: maybe(fc.integer({ min: 1, max: 3 })),
  })
  const folder = fc.constantFrom('', 'A/', 'A/B/', 'A/B/CD1/', 'A/B/CD2/', 'C/B/')
  const library = fc
    .array(fc.tuple(folder, tags), { minLength: 1, maxLength: 30 })
    .map((files) => files.map(([place, one], index) => tagged(`${place}${index} Song.flac`, one)))

  test('is numbered without gaps, and everything belongs somewhere', () => {
    fc.assert(
      fc.property(library, (files) => {
        const { artists, albums, tracks, files: byId } = buildCatalog(files)
        for (const list of [artists, albums, tracks])
          expect(list.map(({ id }) => id)).toEqual(list.map((_, i) => i + 1))
        expect(albums.flatMap(({ trackIds }) => trackIds)).toEqual(tracks.map(({ id }) => id))
        expect(new Set([...byId.values()].map(({ path }) => path)).size).toBe(files.length)
        for (const album of albums) {
          expect(artists[album.artistId - 1]?.title).toBe(album.artist)
          for (const id of album.trackIds)
            expect(tracks[id - 1]).toMatchObject({ albumId: album.id, album: album.title })
        }
        expect(new Set(artists.map(({ title }) => title.toLowerCase())).size).toBe(artists.length)
        expect(new Set(albums.map(({ artistId }) => artistId)).size).toBe(artists.length)
      }),
    )
  })

  test('has the same numbers in whatever order its files are read', () => {
    fc.assert(
      fc.property(
        library.chain((files) => fc.tuple(fc.constant(files), fc.shuffledSubarray(files, { minLength: files.length }))),
        ([files, shuffled]) => {
          expect(buildCatalog(shuffled)).toEqual(buildCatalog(files))
        },
      ),
    )
  })
})
