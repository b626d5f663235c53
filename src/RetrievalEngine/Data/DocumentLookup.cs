using System;

namespace RetrievalEngine.Data;

/// <summary>The documents of a corpus by id, read from the file when asked for. Safe for concurrent use.</summary>
public sealed class DocumentLookup : IDisposable
{
    private readonly DocumentStore _store;

    private DocumentLookup(DocumentStore store) => _store = store;

    /// <summary>Opens a corpus as <see cref="Corpus.Read(string, CorpusFormat)"/> does, and checks every line.</summary>
    /// <exception cref="InputException">As there.</exception>
    public static DocumentLookup Open(string path) => new(DocumentStore.Open(path));

    /// <summary>SHA-256 of the file, in hexadecimal.</summary>
    public string ContentHash => Convert.ToHexStringLower(_store.Hash);

    /// <summary>The document <paramref name="id"/>; null where there is none.</summary>
    public Document? Find(string id) => _store.TryGet(id, out Document document) ? document : null;

    /// <inheritdoc/>
    public void Dispose() => _store.Dispose();
}
