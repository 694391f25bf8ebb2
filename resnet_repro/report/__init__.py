"""From records to tables and figures: frames -> verdicts -> tables, figures. No torch."""
