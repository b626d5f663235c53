using System;
using System.Numerics;
using System.Text.Unicode;

namespace RetrievalEngine.Data;

/// <summary>
/// The documents of a corpus file by id, read from the file when asked for: about 20 bytes a document are held. Reading is thread-safe.
/// </summary>
internal sealed class DocumentStore : IDisposable
{
    private readonly LineFile _lines;
    private readonly RecordLayout? _layout;

    // Open addressing; a slot holds a line's number + 1, and part of its id's hash, so that few lines are read in vain.
    private readonly int[] _slots;
    private readonly int[] _hashes;

    private DocumentStore(LineFile lines, RecordLayout? layout)
    {
        _lines = lines;
        _layout = layout;
        int capacity = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Min(lines.Count + lines.Count / 2L + 1, 1 << 30));
        _slots = new int[capacity];
        _hashes = new int[capacity];
    }

    /// <summary>Where it lies.</summary>
    public string Path => _lines.Path;

    /// <summary>Number of documents.</summary>
    public int Count => _lines.Count;

    /// <summary>SHA-256 of the file.</summary>
    public byte[] Hash => _lines.Hash;

    /// <summary>Opens a corpus as <see cref="Corpus.Read(string, CorpusFormat)"/> does, and checks every line.</summary>
    /// <exception cref="InputException">As there.</exception>
    public static DocumentStore Open(string path)
    {
        LineFile lines = LineFile.Open(Corpus.Resolve(path));
        try
        {
            if (lines.Count == 0) throw new InputException($"{lines.Path} holds no documents");
            if (lines.Count > 1 << 29)
                throw new InputException($"{lines.Path}: {lines.Count} documents, but at most {1 << 29} can be looked up by id");
            bool isJson = lines[0][0] == (byte)'{';
            DocumentStore store = new(lines, isJson ? RecordLine.Detect(lines[0], Corpus.Layouts, lines.Path, lines.LineNumber(0)) : null);
            for (int row = 0; row < lines.Count; row++) store.Add(row);
            return store;
        }
        catch
        {
            lines.Dispose();
            throw;
        }
    }

    /// <summary>The document <paramref name="id"/>, if there is one.</summary>
    public bool TryGet(string id, out Document document)
    {
        int slot = FindSlot(id, out document);
        return _slots[slot] != 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _lines.Dispose();

    private void Add(int row)
    {
        if (!Utf8.IsValid(_lines[row]))
            throw new InputException($"{Path} line {_lines.LineNumber(row)}: is not valid UTF-8; convert the file to UTF-8");
        Document document = Read(row);
        int slot = FindSlot(document.Id, out _);
        if (_slots[slot] != 0)
        {
            throw new InputException($"{Path} line {_lines.LineNumber(row)}: id \"{document.Id}\" is there already in line " +
                $"{_lines.LineNumber(_slots[slot] - 1)}; ids must be unique");
        }

        _slots[slot] = row + 1;
        _hashes[slot] = document.Id.GetHashCode(StringComparison.Ordinal);
    }

    private int FindSlot(string id, out Document document)
    {
        int hash = id.GetHashCode(StringComparison.Ordinal), mask = _slots.Length - 1, slot = hash & mask;
        for (; _slots[slot] != 0; slot = (slot + 1) & mask)
        {
            if (_hashes[slot] != hash) continue;
            document = Read(_slots[slot] - 1);
            if (document.Id == id) return slot;
        }

        document = default;
        return slot;
    }

    private Document Read(int row)
    {
        try
        {
            return Read(row, 0);
        }
        catch (InputException)
        {
            // Once more, for the sentence: the line's number takes a pass over the file.
            return Read(row, _lines.LineNumber(row));
        }
    }

    private Document Read(int row, long number)
    {
        (string id, string title, string text) = RecordLine.Parse(_lines[row], _layout, Path, number);
        return new Document(id, title, text);
    }
}
