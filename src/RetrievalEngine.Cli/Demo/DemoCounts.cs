namespace RetrievalEngine.Cli.Demo;

/// <summary>What became of the members, for the report.</summary>
internal sealed record DemoCounts
{
    /// <summary>Elements read from the XML files.</summary>
    public int Members { get; set; }

    /// <summary>Left out: machine instructions, explicit interface members, compiler helpers.</summary>
    public int NotReadable { get; set; }

    /// <summary>Documents, overloads of one member together.</summary>
    public int Documents { get; set; }

    /// <summary>Documents without a summary of at least four words.</summary>
    public int NoSummary { get; set; }

    /// <summary>Documents whose summary stands word for word in their own text.</summary>
    public int InOwnText { get; set; }

    /// <summary>Documents whose summary is word for word that of another document.</summary>
    public int Shared { get; set; }

    /// <summary>Documents with a query of their own.</summary>
    public int Queries { get; set; }
}
