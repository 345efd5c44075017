from administration.rails.rehearsal.simulator import main

raise SystemExit(main())
