namespace RetrievalEngine.Evaluation;

/// <summary>What may follow the dot of a measure's name, as in <c>P.5,10</c>.</summary>
internal enum ParameterKind
{
    /// <summary>Nothing; parameters are ignored.</summary>
    None,

    /// <summary>Ranks: one value for each, in ascending order.</summary>
    Depths,

    /// <summary>Fractions: one value for each, in ascending order.</summary>
    Fractions,

    /// <summary>Numbers that together make one value.</summary>
    Numbers,

    /// <summary>Pairs <c>grade=gain</c> that together make one value.</summary>
    Gains,
}
