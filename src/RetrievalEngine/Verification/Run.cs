using System;
using System.Collections.Generic;

namespace RetrievalEngine.Verification;

/// <summary>Runs one comparison so that what breaks counts as failed without ending the others.</summary>
internal static class Run
{
    /// <summary>The items of <paramref name="compare"/>, or one that says why there are none.</summary>
    public static IEnumerable<VerificationItem> Guarded(string item, Func<List<VerificationItem>> compare)
    {
        try
        {
            return compare();
        }
        catch (InputException e)
        {
            return [new VerificationItem(item, "", double.PositiveInfinity, 0, VerificationOutcome.Failed, e.Message)];
        }
    }
}
