using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Data;

/// <summary>
/// A text file, mapped, whose lines are reached by number without being held in memory: 8 bytes a line. Lines of white space do not count. Reading is
/// thread-safe.
/// </summary>
internal sealed class LineFile : IDisposable
{
    private const int ScanBytes = 1 << 24;
    private readonly MappedFile _file;
    private readonly List<long> _offsets = [];

    private LineFile(MappedFile file) => _file = file;

    /// <summary>Where it lies.</summary>
    public string Path => _file.Path;

    /// <summary>Number of lines.</summary>
    public int Count => _offsets.Count;

    /// <summary>SHA-256 of the file.</summary>
    public byte[] Hash { get; private set; } = [];

    /// <summary>Line <paramref name="row"/>, from 0, without its end and without white space around it.</summary>
    public ReadOnlySpan<byte> this[int row]
    {
        get
        {
            long start = _offsets[row];
            ReadOnlySpan<byte> rest = _file.Bytes(start, (int)Math.Min(Utf8LineReader.MaxLineBytes, _file.Length - start));
            int end = rest.IndexOf((byte)'\n');
            return (end < 0 ? rest : rest[..end]).Trim(" \t\r"u8);
        }
    }

    /// <summary>Maps <paramref name="path"/> and finds its lines.</summary>
    /// <exception cref="InputException">It cannot be read, or a line is longer than <see cref="Utf8LineReader.MaxLineBytes"/>.</exception>
    public static LineFile Open(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder where a file is needed");
        if (!File.Exists(path)) throw new InputException($"{path}: no such file");
        LineFile? lines = null;
        try
        {
            lines = new LineFile(MappedFile.Open(path));
            lines.Scan();
            return lines;
        }
        catch (Exception e)
        {
            lines?.Dispose();
            if (e is IOException or UnauthorizedAccessException) throw new InputException($"{path} cannot be read: {e.Message}", e);
            throw;
        }
    }

    /// <summary>The number in the file, from 1, of line <paramref name="row"/>. Counted on demand, for messages.</summary>
    public long LineNumber(int row)
    {
        long number = 1;
        for (long position = 0; position < _offsets[row]; position += ScanBytes)
            number += _file.Bytes(position, (int)Math.Min(ScanBytes, _offsets[row] - position)).Count((byte)'\n');
        return number;
    }

    /// <summary>Forgets the lines that <paramref name="drop"/> names; those behind move up.</summary>
    public void RemoveAll(Predicate<int> drop)
    {
        int row = 0;
        _offsets.RemoveAll(_ => drop(row++));
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Scan()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long start = 0;
        for (long position = 0; position < _file.Length; position += ScanBytes)
        {
            ReadOnlySpan<byte> bytes = _file.Bytes(position, (int)Math.Min(ScanBytes, _file.Length - position));
            hash.AppendData(bytes);
            if (position == 0 && bytes.StartsWith("\uFEFF"u8)) start = 3;
            for (int searched = (int)(start - position); ;)
            {
                int from = Math.Max(searched, 0), newline = bytes[from..].IndexOf((byte)'\n');
                if (newline < 0) break;
                Add(start, position + from + newline);
                start = position + from + newline + 1;
                searched = from + newline + 1;
            }
        }

        Add(start, _file.Length);
        _offsets.TrimExcess();
        Hash = hash.GetHashAndReset();
    }

    private void Add(long start, long end)
    {
        if (end - start > Utf8LineReader.MaxLineBytes)
        {
            _offsets.Add(start);
            throw new InputException($"{Path} line {LineNumber(Count - 1)}: the line is longer than {Utf8LineReader.MaxLineBytes} bytes");
        }

        if (!_file.Bytes(start, (int)(end - start)).Trim(" \t\r"u8).IsEmpty) _offsets.Add(start);
    }
}
