using System;
using System.Collections.Generic;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Indexing;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Server;

/// <summary>What a server serves, on one device. The caller owns it and disposes it after the server.</summary>
public sealed record ServedModels
{
    /// <summary>The names that requests may call the embedding model by; the first is the one of the answers.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>The same for the reranker; those of the embedding model where there are none.</summary>
    public IReadOnlyList<string> RerankerNames { get; init; } = [];

    /// <summary>What they compute on.</summary>
    public required string Device { get; init; }

    /// <summary>Makes vectors of texts; null where there is a reranker alone.</summary>
    public TextEncoder? Encoder { get; init; }

    /// <summary>Scores passages for a query.</summary>
    public CrossEncoder? Reranker { get; init; }

    /// <summary>What <c>/search</c> looks in, with the vectors of <see cref="Encoder"/>.</summary>
    public DenseIndex? Index { get; init; }

    /// <summary>The document with an id, for the texts of what is found.</summary>
    public Func<string, Document?>? Documents { get; init; }
}
