using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Reranking;

/// <summary>
/// The finished queries of a reranking in a file beside its output, so that one that was stopped or killed goes on where it was. The first line says what the
/// reranking is made from, each other line is a query; a line that was being written is dropped.
/// </summary>
public sealed class RerankJournal : IDisposable
{
    private readonly string _path;
    private readonly FileStream _stream;
    private readonly Dictionary<string, ScoredDocument[]> _done = new(StringComparer.Ordinal);

    private RerankJournal(string path, FileStream stream)
    {
        _path = path;
        _stream = stream;
    }

    /// <summary>Queries that are done.</summary>
    public int Count => _done.Count;

    /// <summary>Opens <paramref name="path"/>; what it holds of a reranking with another <paramref name="identity"/> is dropped.</summary>
    /// <exception cref="IOException">It cannot be written, or another process writes it.</exception>
    public static RerankJournal Open(string path, string identity)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) Directory.CreateDirectory(folder);
        FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        RerankJournal journal = new(path, stream);
        long end = journal.Load(identity);
        stream.SetLength(end);
        stream.Seek(end, SeekOrigin.Begin);
        if (end == 0) journal.WriteLine(JsonSerializer.Serialize(identity));
        return journal;
    }

    /// <summary>The documents of <paramref name="queryId"/> with their scores, if it is done.</summary>
    public bool TryGet(string queryId, out ScoredDocument[] documents) => _done.TryGetValue(queryId, out documents!);

    /// <summary>Writes a finished query.</summary>
    public void Add(string queryId, ScoredDocument[] documents)
    {
        _done.Add(queryId, documents);
        WriteLine(JsonSerializer.Serialize(new object[] { queryId, documents.Select(d => d.DocId), documents.Select(d => (float)d.Score) }));
    }

    /// <summary>Removes the file, when the run itself is written.</summary>
    public void Delete()
    {
        Dispose();
        File.Delete(_path);
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    /// <summary>Reads the whole lines; returns where they end.</summary>
    private long Load(string identity)
    {
        byte[] bytes = new byte[_stream.Length];
        _stream.ReadExactly(bytes);
        long end = 0;
        for (int start = 0, newline; (newline = bytes.AsSpan(start).IndexOf((byte)'\n')) >= 0; start += newline + 1)
        {
            if (!TryRead(bytes.AsSpan(start, newline), identity, isFirst: start == 0)) break;
            end = start + newline + 1;
        }

        return end;
    }

    private bool TryRead(ReadOnlySpan<byte> line, string identity, bool isFirst)
    {
        try
        {
            if (isFirst) return JsonSerializer.Deserialize<string>(line) == identity;
            JsonElement[] query = JsonSerializer.Deserialize<JsonElement[]>(line)!;
            string[] ids = query[1].Deserialize<string[]>()!;
            float[] scores = query[2].Deserialize<float[]>()!;
            return ids.Length == scores.Length && _done.TryAdd(query[0].GetString()!, [.. ids.Zip(scores, (id, score) => new ScoredDocument(id, score))]);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or IndexOutOfRangeException or ArgumentNullException)
        {
            return false;
        }
    }

    private void WriteLine(string line)
    {
        _stream.Write(System.Text.Encoding.UTF8.GetBytes(line + "\n"));
        _stream.Flush();
    }
}
