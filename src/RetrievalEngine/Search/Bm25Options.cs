namespace RetrievalEngine.Search;

/// <summary>BM25's two parameters; the defaults are Anserini's.</summary>
/// <param name="K1">How soon further occurrences of a term stop counting.</param>
/// <param name="B">How much long documents are held back, 0 to 1.</param>
public readonly record struct Bm25Options(double K1 = 0.9, double B = 0.4)
{
    /// <summary>k1 0.9, b 0.4.</summary>
    public static readonly Bm25Options Default = new(0.9, 0.4);
}
