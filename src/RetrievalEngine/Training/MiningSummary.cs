namespace RetrievalEngine.Training;

/// <summary>What mining found in all.</summary>
/// <param name="Rows">Rows with negatives.</param>
/// <param name="RowsWithoutNegatives">Rows left out because nothing qualified.</param>
/// <param name="ShortRows">Rows with fewer negatives than wanted.</param>
/// <param name="Negatives">Negatives of all rows.</param>
/// <param name="Positives">Ranked documents left out because they are positives.</param>
/// <param name="Duplicates">Ranked documents left out as copies.</param>
/// <param name="OutsideScores">Ranked documents left out by a margin or a score limit.</param>
public readonly record struct MiningSummary(
    int Rows, int RowsWithoutNegatives, int ShortRows, long Negatives, long Positives, long Duplicates, long OutsideScores)
{
    /// <summary>This and one more row, of which <paramref name="wanted"/> negatives were wanted.</summary>
    public MiningSummary Add(MinedNegatives mined, int wanted)
    {
        int count = mined.Negatives.Count;
        return new MiningSummary(
            Rows + (count > 0 ? 1 : 0),
            RowsWithoutNegatives + (count == 0 ? 1 : 0),
            ShortRows + (count > 0 && count < wanted ? 1 : 0),
            Negatives + count,
            Positives + mined.Positives,
            Duplicates + mined.Duplicates,
            OutsideScores + mined.OutsideScores);
    }
}
