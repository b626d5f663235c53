using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// Where the entries of a zip archive lie, for entries that are stored without compression (as PyTorch stores all): then they can be mapped like any
/// other file. Zip and zip64,
/// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
/// </summary>
internal sealed class ZipDirectory
{
    private const uint EndSignature = 0x06054b50, End64Signature = 0x06064b50, Locator64Signature = 0x07064b50, EntrySignature = 0x02014b50, LocalSignature = 0x04034b50;
    private const int EndLength = 22, End64Length = 56, Locator64Length = 20, EntryLength = 46, LocalLength = 30, MaxEntries = 1 << 20;
    private readonly MappedFile _file;

    private ZipDirectory(MappedFile file) => _file = file;

    /// <summary>First byte and length of each entry, by name.</summary>
    public Dictionary<string, (long Offset, long Length)> Entries { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads the central directory of <paramref name="file"/>.</summary>
    /// <exception cref="InputException">It is damaged, or an entry is compressed or encrypted.</exception>
    public static ZipDirectory Read(MappedFile file)
    {
        ZipDirectory directory = new(file);
        (long at, long length, long entries) = directory.FindDirectory();
        if (entries > MaxEntries) throw directory.Bad($"it has {entries} entries, more than {MaxEntries}");
        long end = at + length;
        for (long i = 0; i < entries; i++) at = directory.ReadEntry(at, end);
        return directory;
    }

    private (long Offset, long Length, long Entries) FindDirectory()
    {
        // The end record is followed by a comment of at most 64 KiB.
        int tail = (int)Math.Min(_file.Length, EndLength + ushort.MaxValue);
        ReadOnlySpan<byte> last = _file.Bytes(_file.Length - tail, tail);
        for (int i = tail - EndLength; i >= 0; i--)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(last[i..]) != EndSignature) continue;
            long entries = BinaryPrimitives.ReadUInt16LittleEndian(last[(i + 10)..]), length = BinaryPrimitives.ReadUInt32LittleEndian(last[(i + 12)..]);
            long offset = BinaryPrimitives.ReadUInt32LittleEndian(last[(i + 16)..]);
            if (entries == ushort.MaxValue || length == uint.MaxValue || offset == uint.MaxValue) (offset, length, entries) = FindDirectory64(_file.Length - tail + i);
            if (offset < 0 || length < 0 || offset > _file.Length - length) throw Bad("its directory lies outside the file");
            return (offset, length, entries);
        }

        throw Bad("its end is missing; it is truncated, copy it again");
    }

    private (long Offset, long Length, long Entries) FindDirectory64(long end)
    {
        ReadOnlySpan<byte> locator = Bytes(end - Locator64Length, Locator64Length);
        if (BinaryPrimitives.ReadUInt32LittleEndian(locator) != Locator64Signature) throw Bad("its zip64 locator is missing");
        ReadOnlySpan<byte> record = Bytes(BinaryPrimitives.ReadInt64LittleEndian(locator[8..]), End64Length);
        if (BinaryPrimitives.ReadUInt32LittleEndian(record) != End64Signature) throw Bad("its zip64 end record is missing");
        return (BinaryPrimitives.ReadInt64LittleEndian(record[48..]), BinaryPrimitives.ReadInt64LittleEndian(record[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(record[32..]));
    }

    private long ReadEntry(long at, long end)
    {
        ReadOnlySpan<byte> entry = Bytes(at, EntryLength);
        if (BinaryPrimitives.ReadUInt32LittleEndian(entry) != EntrySignature) throw Bad("an entry of its directory is damaged");
        int nameLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[28..]), extraLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[30..]);
        int commentLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[32..]);
        string name = System.Text.Encoding.UTF8.GetString(Bytes(at + EntryLength, nameLength));
        if (BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]) is var method and not 0) throw Bad($"{name} is compressed (method {method}), which PyTorch does not do");
        if ((BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]) & 1) != 0) throw Bad($"{name} is encrypted");
        long stored = BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]), size = BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]);
        long local = BinaryPrimitives.ReadUInt32LittleEndian(entry[42..]);
        ReadExtra(Bytes(at + EntryLength + nameLength, extraLength), ref size, ref stored, ref local);
        if (size != stored) throw Bad($"{name} has {size} bytes, of which {stored} are stored");
        ReadOnlySpan<byte> header = Bytes(local, LocalLength);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != LocalSignature) throw Bad($"{name} is not where the directory says");
        long data = local + LocalLength + BinaryPrimitives.ReadUInt16LittleEndian(header[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        if (size < 0 || data > _file.Length - size) throw Bad($"{name} is truncated; copy the file again");
        if (!Entries.TryAdd(name, (data, size))) throw Bad($"{name} is there twice");
        long next = at + EntryLength + nameLength + extraLength + commentLength;
        return next <= end ? next : throw Bad("its directory is truncated");
    }

    /// <summary>Zip64's field holds those of the three numbers that did not fit, in this order.</summary>
    private static void ReadExtra(ReadOnlySpan<byte> extra, ref long size, ref long stored, ref long local)
    {
        while (extra.Length >= 4)
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(extra), length = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]), extra.Length - 4);
            ReadOnlySpan<byte> field = extra.Slice(4, length);
            if (id == 1)
            {
                if (size == uint.MaxValue) size = Next(ref field);
                if (stored == uint.MaxValue) stored = Next(ref field);
                if (local == uint.MaxValue) local = Next(ref field);
            }

            extra = extra[(4 + length)..];
        }
    }

    private static long Next(ref ReadOnlySpan<byte> field)
    {
        if (field.Length < sizeof(long)) return -1;
        long value = BinaryPrimitives.ReadInt64LittleEndian(field);
        field = field[sizeof(long)..];
        return value;
    }

    private ReadOnlySpan<byte> Bytes(long offset, int length) =>
        offset >= 0 && offset <= _file.Length - length ? _file.Bytes(offset, length) : throw Bad("its directory is damaged");

    private InputException Bad(string what) => new($"{_file.Path}: the zip archive cannot be read: {what}");
}
