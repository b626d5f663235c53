namespace RetrievalEngine.Encoding;

/// <summary>What a folder of vectors is for.</summary>
public enum StoreKind
{
    /// <summary>What <c>retrieval encode</c> writes: vectors as the model gave them.</summary>
    Embeddings,

    /// <summary>What <c>retrieval index build</c> writes: passages ready to be searched by inner product.</summary>
    Index,
}
