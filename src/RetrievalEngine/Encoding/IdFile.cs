using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Encoding;

/// <summary>
/// The ids of one shard, mapped: one JSON string a line. Line starts are kept in memory; an id is decoded when it is first asked for.
/// </summary>
internal sealed class IdFile : IDisposable
{
    private const int ChunkBytes = 1 << 20;

    /// <summary>Two quotes and the end of the line.</summary>
    private const int ShortestLine = 3;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly MappedFile _file;
    private readonly long[] _starts;
    private readonly string?[] _decoded;

    private IdFile(MappedFile file, long[] starts)
    {
        _file = file;
        _starts = starts;
        _decoded = new string?[starts.Length - 1];
    }

    /// <summary>Opens <paramref name="path"/>, which must have <paramref name="rows"/> lines.</summary>
    /// <exception cref="InputException">It is absent or has another number of lines.</exception>
    public static IdFile Open(string path, int rows)
    {
        if (!File.Exists(path)) throw new InputException($"{path}: no such file; the folder is damaged, make it again");
        MappedFile file = MappedFile.Open(path);
        try
        {
            // Before anything is allocated for a number that an untrusted manifest gave.
            if (rows > file.Length / ShortestLine) throw Truncated(path, rows);
            long[] starts = new long[rows + 1];
            int line = 0;
            for (long offset = 0; offset < file.Length; offset += ChunkBytes)
            {
                ReadOnlySpan<byte> chunk = file.Bytes(offset, (int)Math.Min(ChunkBytes, file.Length - offset));
                for (int at = 0, next; (next = chunk[at..].IndexOf((byte)'\n')) >= 0;)
                {
                    at += next + 1;
                    if (line == rows)
                        throw new InputException(
                            $"{path}: more than the {rows} ids that the manifest promises; the folder is damaged, make it again");
                    starts[++line] = offset + at;
                }
            }

            if (line != rows || starts[line] != file.Length) throw Truncated(path, rows);
            return new IdFile(file, starts);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes such a file.</summary>
    public static void Write(IEnumerable<string> ids, Stream stream)
    {
        using Utf8JsonWriter json = new(stream, s_options);
        foreach (string id in ids)
        {
            json.WriteStringValue(id);
            json.Flush();
            json.Reset();
            stream.WriteByte((byte)'\n');
        }
    }

    /// <summary>The id of <paramref name="row"/>.</summary>
    /// <exception cref="InputException">The line is not a JSON string.</exception>
    public string this[int row] => _decoded[row] ??= Decode(row);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private string Decode(int row)
    {
        long start = _starts[row], length = _starts[row + 1] - start;
        if (length > int.MaxValue) throw Damaged(row, null);
        JsonElement value = JsonFields.ParseElement(_file.Bytes(start, (int)length), $"{_file.Path} line {row + 1}");
        if (value.ValueKind != JsonValueKind.String) throw Damaged(row, null);
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw Damaged(row, e);
        }
    }

    private static InputException Truncated(string path, int rows) =>
        new($"{path}: fewer than the {rows} ids that the manifest promises; the file is truncated, make the folder again");

    private InputException Damaged(int row, Exception? cause)
    {
        string message = $"{_file.Path} line {row + 1}: an id must be a JSON string; the folder is damaged, make it again";
        return cause is null ? new InputException(message) : new InputException(message, cause);
    }
}
