using System;
using System.IO;
using System.Text.Unicode;

namespace RetrievalEngine;

/// <summary>
/// Reads a text file line by line as UTF-8 bytes: no strings are made, a byte order mark is dropped, <c>\r\n</c> and <c>\n</c> both end a line.
/// A line longer than <see cref="MaxLineBytes"/> and bytes that are not UTF-8 are refused with the line's number.
/// </summary>
internal sealed class Utf8LineReader : IDisposable
{
    /// <summary>The longest line that is read: 1 GiB.</summary>
    public const int MaxLineBytes = 1 << 30;

    private readonly Stream _stream;
    private readonly int _maxLineBytes;
    private byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;
    private bool _atEndOfFile;

    /// <summary>Reads <paramref name="stream"/> (and owns it); <paramref name="name"/> is what messages call it.</summary>
    public Utf8LineReader(Stream stream, string name, int maxLineBytes = MaxLineBytes)
    {
        _stream = stream;
        _maxLineBytes = maxLineBytes;
        Name = name;
    }

    /// <summary>What messages call the file.</summary>
    public string Name { get; }

    /// <summary>The number of the line that was read last, from 1.</summary>
    public long LineNumber { get; private set; }

    /// <summary>Opens the file <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is absent, a folder, or not readable.</exception>
    public static Utf8LineReader Open(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder where a file is needed");
        try
        {
            FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            return new Utf8LineReader(stream, path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The next line without its end, valid until the next call; false at the end of the file.</summary>
    /// <exception cref="InputException">The line is too long, or is not UTF-8.</exception>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        int searched = 0;
        while (true)
        {
            int newline = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (newline >= 0 || (_atEndOfFile && _end > _start))
            {
                int length = newline >= 0 ? searched + newline : _end - _start;
                line = _buffer.AsSpan(_start, length);
                _start += newline >= 0 ? length + 1 : length;
                LineNumber++;
                if (length > _maxLineBytes) throw TooLong();
                if (LineNumber == 1 && line.StartsWith("\uFEFF"u8)) line = line[3..];
                if (line.EndsWith("\r"u8)) line = line[..^1];
                if (!Utf8.IsValid(line)) throw Error("is not valid UTF-8; convert the file to UTF-8");
                return true;
            }

            if (_atEndOfFile)
            {
                line = default;
                return false;
            }

            searched = _end - _start;
            Fill();
        }
    }

    /// <summary>The exception that says <c>FILE line N: <paramref name="what"/></c> for the line that was read last.</summary>
    public InputException Error(string what) => new($"{Name} line {LineNumber}: {what}");

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Fill()
    {
        if (_start > 0)
        {
            Buffer.BlockCopy(_buffer, _start, _buffer, 0, _end - _start);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            if (_end > _maxLineBytes)
            {
                LineNumber++;
                throw TooLong();
            }

            Array.Resize(ref _buffer, (int)Math.Min(2L * _buffer.Length, _maxLineBytes + 2L));
        }

        int read = _stream.Read(_buffer, _end, _buffer.Length - _end);
        _atEndOfFile = read == 0;
        _end += read;
    }

    private InputException TooLong() => Error($"the line is longer than {_maxLineBytes} bytes");
}
