/** Which files of a folder belong to the library: links, hidden files, pictures next to the tracks. */
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MusicLibrary } from '../../examples/music/media/index.ts'
import { RealRuntime } from '../../src/runtime/index.ts'
import { ChangedRuntime, FIRST_PACKET, flacFile, temporaryFolder } from './media-support.ts'

const runtime = new RealRuntime()

describe('folders', () => {
  test('circles of links end, and what is linked to counts once, under its own name', async () => {
    await using folder = await temporaryFolder()
    await using elsewhere = await temporaryFolder()
    await folder.write('Z Artist/Album/1 One.flac', flacFile(1))
    await folder.write('Z Artist/Album/2 Two.flac', flacFile(2))
    await elsewhere.write('Other/Record/3 Three.flac', flacFile(3))
    const link = async (target: string, name: string): Promise<void> => symlink(target, join(folder.path, name))
    await link(folder.path, 'Z Artist/to the top')
    await link(join(folder.path, '..'), 'above the top')
    await link('itself', 'itself')
    await link(join(folder.path, 'Z Artist'), 'A Artist')
    await link(join(folder.path, 'Z Artist/Album/1 One.flac'), '0 best of.flac')
    await link(elsewhere.path, 'elsewhere')
    await symlink(elsewhere.path, join(elsewhere.path, 'Other/loop'))
    // Whether or not the runtime tells links from what they lead to.
    const followed = new ChangedRuntime({
      list: (_, entries) =>
        entries.map(({ name, kind }) =>
          kind === 'other' && name !== 'itself' ? { name, kind: 'directory' } : { name, kind },
        ),
    })
    for (const one of [runtime, followed]) {
      const library = await MusicLibrary.scan(folder.path, { runtime: one })
      expect(library.tracks.map((track) => library.path(track.id))).toEqual([
        join(folder.path, 'elsewhere/Other/Record/3 Three.flac'),
        join(folder.path, 'Z Artist/Album/1 One.flac'),
        join(folder.path, 'Z Artist/Album/2 Two.flac'),
      ])
      expect(library.skipped).toEqual([
        { path: 'above the top', reason: 'it links to a folder that contains the whole library' },
      ])
    }
  })

  test('a library that is itself a link is read', async () => {
    await using folder = await temporaryFolder()
    await folder.write('real/Artist/Album/1 One.flac', flacFile(1))
    await symlink(join(folder.path, 'real'), join(folder.path, 'link'))
    const library = await MusicLibrary.scan(join(folder.path, 'link'), { runtime })
    expect(library.folder).toBe(join(folder.path, 'link'))
    expect(library.tracks).toMatchObject([{ title: 'One', artist: 'Artist', album: 'Album', number: 1 }])
  })

  test('hidden files and files that are no audio are passed over in silence', async () => {
    await using folder = await temporaryFolder()
    await folder.write('1.FLAC', flacFile(1))
    await folder.write('._1.flac', 'a Mac was here')
    await folder.write('.Trash/2.flac', flacFile(2))
    await folder.write('notes.txt', 'hello')
    await folder.write('flac', 'a name without an extension')
    await mkdir(join(folder.path, 'folder.flac'))
    const library = await MusicLibrary.scan(folder.path, { runtime })
    expect(library.tracks.length).toBe(1)
    expect(library.skipped).toEqual([])
  })

  test('a picture next to the tracks is the cover, unless the folder holds several albums', async () => {
    await using folder = await temporaryFolder()
    const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(5000, 1)])
    const flac = await readFile(FIRST_PACKET)
    await folder.write('both/1.flac', flac)
    await folder.write('both/Folder.JPG', jpeg)
    await folder.write('fake/1.flac', flacFile(1, { ARTIST: 'Fake', ALBUM: 'Fake' }))
    await folder.write('fake/cover.png', 'this is no picture')
    await folder.write('mixed/1.flac', flacFile(1, { ARTIST: 'Mixed', ALBUM: 'One' }))
    await folder.write('mixed/2.flac', flacFile(1, { ARTIST: 'Mixed', ALBUM: 'Two' }))
    await folder.write('mixed/cover.jpg', jpeg)
    const library = await MusicLibrary.scan(folder.path, { runtime })
    expect(library.albums.map(({ title, hasCover }) => [title, hasCover])).toEqual([
      ['Fake', false],
      ['One', false],
      ['Two', false],
      ['Hole Punching', true],
    ])
    const cover = await library.cover(4)
    expect(cover?.contentType).toBe('image/jpeg')
    expect(Buffer.from(cover?.bytes ?? []).equals(jpeg)).toBe(true)
    expect(await library.cover(1)).toBeUndefined()
  })
})
